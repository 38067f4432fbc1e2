// Loaded into an agent first (node --import): delays or refuses writes to its state directory as the file
// SOCLE_DISK_FAULT demands: "none", "slow MILLISECONDS" (each write and each sync) or an error's name ("EROFS", "EIO":
// each write). Once for each NUMBER: "write_failed NUMBER FILE" and "sync_failed NUMBER FILE" fail with EIO if the path
// contains FILE (none given: any), a sync after its write; "dies NUMBER" kills the agent after its next sync.
import { readFileSync, readlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

const directory = process.env.SOCLE_DISK_FAULT_DIRECTORY;
const file = await open("/dev/null");
const prototype = Object.getPrototypeOf(file);
await file.close();

const injected = new Set();
const once = (fault) => !injected.has(fault) && injected.add(fault) !== undefined;
const failure = (code, name) =>
  Object.assign(new Error(`${code}: injected fault, ${name}`), { code, syscall: name });

for (const name of ["write", "datasync", "sync", "appendFile", "truncate"]) {
  const isSync = name === "datasync" || name === "sync";
  const original = prototype[name];
  prototype[name] = async function (...args) {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`);
    if (path.startsWith(directory)) {
      const fault = readFileSync(process.env.SOCLE_DISK_FAULT, "utf8").trim();
      const [kind, number, part = ""] = fault.split(" ");
      if (kind === "slow") {
        if (name !== "sync") await pause(Number(number));
      } else if (kind === "write_failed") {
        if (!isSync && path.includes(part) && once(fault)) throw failure("EIO", name);
      } else if (kind === "sync_failed") {
        if (name === "datasync" && path.includes(part) && once(fault)) throw failure("EIO", name);
      } else if (kind === "dies") {
        if (name === "datasync" && once(fault)) {
          await original.apply(this, args);
          process.kill(process.pid, "SIGKILL");
        }
      } else if (kind !== "none" && !isSync) throw failure(kind, name);
    }
    return await original.apply(this, args);
  };
}
