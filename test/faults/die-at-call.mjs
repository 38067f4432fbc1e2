// Loaded first (node --import): kills the process with SIGKILL at position N of its file changes, SOCLE_DIE_AT_CALL=N: each
// call has one position before and one after it.
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const at = Number(process.env.SOCLE_DIE_AT_CALL ?? "NaN");
let position = -1;

const pass = () => {
  position += 1;
  if (position === at) process.kill(process.pid, "SIGKILL");
};

function wrap(owner, name) {
  const real = owner[name];
  owner[name] = async function (...args) {
    pass();
    const result = await real.apply(this, args);
    pass();
    return result;
  };
}

const file = await fs.open("/dev/null");
const prototype = Object.getPrototypeOf(file);
await file.close();
for (const name of ["write", "datasync", "sync", "truncate"]) wrap(prototype, name);
for (const name of ["rename", "rm"]) wrap(fs, name);
syncBuiltinESMExports();
