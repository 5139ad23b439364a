/** What the columns of a trace line have in common wherever they are read. */

/** The kernel and trace-cmd pad a thread's name to so many columns; the dash comes behind them. */
export const COMM_COLUMNS = 16;

/** More than any kernel's flag columns, and few enough to reject other text early. */
export const MAX_FLAGS = 12;
