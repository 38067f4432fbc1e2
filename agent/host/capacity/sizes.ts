import { defined } from "../../kernel/defined.ts";
import type { NewVolume, VmSize } from "../../state/reservations/footprint.ts";

export const sizeOf = ({ vcpus, memoryBytes, accelerator }: VmSize): VmSize =>
  defined({ vcpus, memoryBytes, accelerator });

export const bytesOf = (volumes: readonly NewVolume[]): number =>
  volumes.reduce((bytes, { capacityBytes }) => bytes + capacityBytes, 0);
