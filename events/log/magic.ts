/** The first bytes of logs, by which they are told from everything else. */

/** Of a binary log: "MCLOG\r\n\x1a". */
export const MAGIC = new Uint8Array([0x4d, 0x43, 0x4c, 0x4f, 0x47, 0x0d, 0x0a, 0x1a]);

/** Whether a file that begins so is a binary log, by as much of the magic as is there. */
export const isMclog = (head: Uint8Array): boolean =>
  head.length >= 4 && MAGIC.every((byte, i) => i >= head.length || head[i] === byte);

/** Whether a file that begins so is a readable log: its header is an object of JSON. */
export const isJsonl = (head: Uint8Array): boolean => head[0] === '{'.charCodeAt(0);

/** Whether a file that begins so is a log, of either form. */
export const isLog = (head: Uint8Array): boolean => isMclog(head) || isJsonl(head);
