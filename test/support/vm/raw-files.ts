import type { Volumes } from "../../../agent/vm/storage/volumes.ts";

/** Pools whose volumes may have any format. */
export const anyRawFiles: Volumes["rawFiles"] = {
  refuse: () => Promise.resolve(),
  formatIn: () => Promise.resolve("qcow2"),
};
