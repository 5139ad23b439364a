/** The ioctls of a recording but KVM_RUN, as inputs, and what they returned. */
import type { Observation, ObservationOf } from '../../events/index.ts';
import { MSR_READERS } from '../../src/clock/index.ts';
import { MSR_ROUTES } from '../../src/engine/index.ts';
import { type Action, narrow, wide } from './action.ts';
import { ioctlName, type PlacedStep } from './fds.ts';
import { isClockMsr, judgeSpan } from './judge-span.ts';
import type { RunSteps } from './run-steps.ts';
import type { Session, Untimed } from './session.ts';
import type { Step } from './steps.ts';
import type { XenSteps } from './xen-steps.ts';

/** Ioctls that return. */
export class IoctlSteps {
  readonly #session: Session;
  readonly #runs: RunSteps;
  readonly #xen: XenSteps;
  /** A KVM_GET_CLOCK returned. */
  readonly #clockRead: (placed: PlacedStep, vm: number) => void;

  constructor(
    session: Session,
    runs: RunSteps,
    xen: XenSteps,
    clockRead: (placed: PlacedStep, vm: number) => void,
  ) {
    this.#session = session;
    this.#runs = runs;
    this.#xen = xen;
    this.#clockRead = clockRead;
  }

  /** One ioctl returns. */
  take(placed: PlacedStep, step: Extract<Step, { kind: 'ioctl-exit' }>): void {
    const { target } = placed;
    const name = ioctlName(step.call.cmd);
    if (target?.kind === 'vm') this.#vmIoctl(placed, step, target.vm, name);
    else if (target?.kind === 'vcpu') this.#vcpuIoctl(placed, step, target, name);
    this.#session.settle(placed);
  }

  #vmIoctl(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    vm: number,
    name: string | undefined,
  ): void {
    const { action } = placed;
    switch (name) {
      case 'KVM_CREATE_VM':
        this.#session.dispatch(placed, { type: 'KVM_CREATE_VM', vm });
        break;
      case 'KVM_GET_CLOCK':
        this.#clockRead(placed, vm);
        break;
      case 'KVM_SET_CLOCK':
        this.#setClock(placed, step, vm);
        break;
      case 'KVM_SET_TSC_KHZ': {
        const khz = Number(step.call.arg);
        const seen = this.#session.dispatch(placed, { type: 'KVM_SET_VM_TSC_KHZ', vm, khz });
        this.#judgeRet(placed, seen, step.ret, action);
        break;
      }
      case 'KVM_XEN_HVM_CONFIG':
      case 'KVM_XEN_HVM_SET_ATTR':
        this.#xenVm(placed, step, vm);
        break;
      case 'KVM_GET_TSC_KHZ':
        this.#judgeRet(
          placed,
          this.#session.dispatch(placed, { type: 'KVM_GET_VM_TSC_KHZ', vm }),
          step.ret,
          action,
        );
        break;
      default:
    }
  }

  /** What the driver sets of Xen's interface, as far as it touches clocks. */
  #xenVm(placed: PlacedStep, step: Extract<Step, { kind: 'ioctl-exit' }>, vm: number): void {
    const { action } = placed;
    if (step.ret < 0n || action === undefined) return;
    const { op, args } = action;
    if (args['type'] === 'LONG_MODE') {
      const longMode = narrow(args['value']) === 1;
      this.#session.dispatch(placed, { type: 'KVM_XEN_SET_LONG_MODE', vm, longMode });
    } else if (op === 'KVM_XEN_HVM_CONFIG') {
      this.#session.dispatch(placed, { type: op, vm, flags: narrow(args['flags']) ?? 0 });
    } else if (args['type'] === 'SHARED_INFO') {
      this.#xen.sharedInfo(placed, vm, (wide(args['gfn']) ?? 0n) << 12n);
    }
  }

  #setClock(placed: PlacedStep, step: Extract<Step, { kind: 'ioctl-exit' }>, vm: number): void {
    const args = placed.action?.op === 'KVM_SET_CLOCK' ? placed.action.args : {};
    const seen = this.#session.dispatch(placed, {
      type: 'KVM_SET_CLOCK',
      vm,
      clock: wide(args['clock']) ?? 0n,
      flags: narrow(args['flags']) ?? 0,
      realtime: wide(args['realtime']) ?? 0n,
      cpu: step.cpu,
    });
    this.#judgeRet(placed, seen, step.ret, placed.action);
  }

  #judgeRet(
    placed: PlacedStep,
    seen: readonly Observation[],
    ret: bigint,
    action: Action | undefined,
  ): void {
    const result = seen.find((o): o is ObservationOf<'ioctl_result'> => o.type === 'ioctl_result');
    if (result === undefined) return;
    const exact = BigInt(result.ret) === ret;
    this.#session.judge(
      placed,
      'ioctl',
      exact ? 'exact' : 'wrong',
      `${result.ret}`,
      `${ret} (${action?.op})`,
    );
  }

  #vcpuIoctl(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    target: { vm: number; vcpu: number },
    name: string | undefined,
  ): void {
    const at = { vm: target.vm, vcpu: target.vcpu };
    if (name === 'KVM_CREATE_VCPU') {
      this.#session.dispatch(placed, { type: 'KVM_CREATE_VCPU', ...at, cpu: step.cpu });
      this.#session.dispatch(placed, { type: 'vcpu_postcreate', ...at });
      return;
    }
    if (name === 'KVM_RUN') {
      this.#runs.end(placed);
      return;
    }
    this.#runs.load(placed);
    const input = this.#vcpuIoctlInput(placed, step, at, name);
    if (placed.action?.args['type'] === 'TIMER') this.#xenTimer(placed, step, at, name);
    else if (input?.type === 'KVM_GET_MSRS' && isClockMsr(input.index)) {
      const value = wide(placed.action?.out['value']);
      if (value !== undefined)
        judgeSpan(this.#session, placed, 'KVM_GET_MSRS', input, BigInt.asUintN(64, value));
    } else if (input !== undefined) {
      const seen = this.#session.dispatch(placed, input);
      this.#judgeRet(placed, seen, step.ret, placed.action);
      this.#judgeRead(placed, seen);
    }
    this.#runs.vcpuInput(placed, 'vcpu_put');
  }

  #xenTimer(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    at: { vm: number; vcpu: number },
    name: string | undefined,
  ): void {
    if (name === 'KVM_XEN_VCPU_GET_ATTR') this.#xen.readTimer(placed, at);
    if (name !== 'KVM_XEN_VCPU_SET_ATTR') return;
    this.#judgeRet(placed, this.#xen.setTimer(placed, at), step.ret, placed.action);
  }

  #vcpuIoctlInput(
    placed: PlacedStep,
    step: Extract<Step, { kind: 'ioctl-exit' }>,
    at: { vm: number; vcpu: number },
    name: string | undefined,
  ): Untimed | undefined {
    const args = placed.action?.args ?? {};
    const index = narrow(args['msr']) ?? -1;
    switch (name) {
      case 'KVM_SET_MSRS':
        return MSR_ROUTES.has(index)
          ? { type: name, ...at, index, data: BigInt.asUintN(64, wide(args['value']) ?? 0n) }
          : undefined;
      case 'KVM_GET_MSRS':
        return MSR_READERS.has(index) ? { type: name, ...at, index } : undefined;
      case 'KVM_SET_TSC_KHZ':
        return { type: name, ...at, khz: Number(step.call.arg) };
      case 'KVM_GET_TSC_KHZ':
        return { type: name, ...at };
      case 'KVM_KVMCLOCK_CTRL':
        return { type: name, ...at };
      case 'KVM_XEN_VCPU_SET_ATTR': {
        const gpa = BigInt.asUintN(64, wide(args['value']) ?? 0n);
        if (args['type'] === 'VCPU_INFO') return { type: 'KVM_XEN_SET_VCPU_INFO', ...at, gpa };
        if (args['type'] === 'VCPU_TIME_INFO') {
          return { type: 'KVM_XEN_SET_VCPU_TIME_INFO', ...at, gpa };
        }
        return undefined;
      }
      case 'KVM_HAS_DEVICE_ATTR':
        return { type: 'KVM_HAS_TSC_OFFSET', ...at };
      case 'KVM_GET_DEVICE_ATTR':
        return { type: 'KVM_GET_TSC_OFFSET', ...at };
      case 'KVM_SET_DEVICE_ATTR':
        return {
          type: 'KVM_SET_TSC_OFFSET',
          ...at,
          offset: BigInt.asUintN(64, wide(args['offset']) ?? 0n),
        };
      default:
        return undefined;
    }
  }

  /** What an ioctl read, against what the log has. */
  #judgeRead(placed: PlacedStep, seen: readonly Observation[]): void {
    const out = placed.action?.out ?? {};
    for (const o of seen) {
      if (o.type === 'msr_result' && o.data !== undefined) {
        const found = wide(out['value']);
        if (found === undefined) continue;
        const exact = BigInt.asUintN(64, found) === o.data;
        this.#session.judge(
          placed,
          'KVM_GET_MSRS',
          exact ? 'exact' : 'wrong',
          `${o.data}`,
          `${found}`,
        );
      } else if (o.type === 'ioctl_result' && o.offset !== undefined) {
        const found = wide(out['offset']);
        if (found === undefined) continue;
        const exact = BigInt.asUintN(64, found) === o.offset;
        this.#session.judge(
          placed,
          'KVM_VCPU_TSC_OFFSET',
          exact ? 'exact' : 'wrong',
          `${o.offset}`,
          `${found}`,
        );
      }
    }
  }
}
