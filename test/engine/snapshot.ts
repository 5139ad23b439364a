/** All bytes of a world, to see whether anything changed. */
import type { World } from '../../src/engine/index.ts';

/** The bytes of host, VMs and vCPUs, by name. */
export function bytesOf(world: World): Map<string, string> {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const all = new Map([['host', hex(world.host.bytes)]]);
  for (const vm of world.vms.values()) {
    all.set(`vm ${vm.id}`, hex(vm.cell.state.bytes));
    for (const [id, vcpu] of vm.vcpus) all.set(`vm ${vm.id} vcpu ${id}`, hex(vcpu.state.bytes));
  }
  return all;
}
