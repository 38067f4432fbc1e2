import { defined } from "../../kernel/defined.ts";
import type { NewVolume, VmSize } from "../../state/reservations/footprint.ts";

export const sizeOf = ({ vcpus, memoryBytes, maxMemoryBytes, accelerator }: VmSize): VmSize =>
  defined({ vcpus, memoryBytes, maxMemoryBytes, accelerator });

export const bytesOf = (volumes: readonly NewVolume[]): number =>
  volumes.reduce((bytes, { capacityBytes }) => bytes + capacityBytes, 0);
