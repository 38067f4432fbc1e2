import { deviceReaders } from "./devices.ts";
import { kernelReaders } from "./kernel.ts";
import { sensorReaders } from "./sensors.ts";
import type { ReadingsOf, ValueOf } from "./reader.ts";
import type { ReaderContext } from "./reader-context.ts";

/** All periodic readers of a host; a file per group. */
export const hostReaders = (context: ReaderContext) => ({
  ...kernelReaders(context),
  ...deviceReaders(context),
  ...sensorReaders(context),
});

type HostReaders = ReturnType<typeof hostReaders>;
export type ReaderName = keyof HostReaders;
export type HostValue<N extends ReaderName> = ValueOf<HostReaders[N]>;
export type HostReadings = ReadingsOf<HostReaders>;
