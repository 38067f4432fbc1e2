// Loaded into an agent before everything else (node --import): what it writes to its state directory is delayed or
// refused as the file SOCLE_DISK_SICKNESS says now: "well", "slow MILLISECONDS" (each write and each sync) or an error's
// name ("EROFS", "EIO": each write).
import { readFileSync, readlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

const directory = process.env.SOCLE_DISK_SICK_DIRECTORY;
const file = await open("/dev/null");
const prototype = Object.getPrototypeOf(file);
await file.close();

for (const name of ["write", "datasync", "appendFile", "truncate"]) {
  const well = prototype[name];
  prototype[name] = async function (...args) {
    if (readlinkSync(`/proc/self/fd/${this.fd}`).startsWith(directory)) {
      const [kind, ms] = readFileSync(process.env.SOCLE_DISK_SICKNESS, "utf8").trim().split(" ");
      if (kind === "slow") await pause(Number(ms));
      else if (kind !== "well" && name !== "datasync")
        throw Object.assign(new Error(`${kind}: refused on purpose, ${name}`), { code: kind, syscall: name });
    }
    return await well.apply(this, args);
  };
}
