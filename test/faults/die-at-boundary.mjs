// Loaded into an agent before everything else (node --import): ends it by SIGKILL at a boundary of its journals, that of
// operations and that of reservations. SOCLE_DIE_AT_BOUNDARY=N says at which, counted from the first operation that begins
// or reservation that is made: each write has one before it and one behind it, each sync one behind it.
import { readlinkSync } from "node:fs";
import { open } from "node:fs/promises";

const at = Number(process.env.SOCLE_DIE_AT_BOUNDARY ?? "NaN");
const file = await open("/dev/null");
const prototype = Object.getPrototypeOf(file);
await file.close();
const { write, datasync } = prototype;
let boundary = -1;

const isJournal = ({ fd }) =>
  /\/(operations|reservations)\.journal$/.test(readlinkSync(`/proc/self/fd/${fd}`));
const isBegin = (buffer) => buffer.includes('"t":"begin"') || buffer.includes('"state":"held"');

function pass() {
  if (boundary === at) process.kill(process.pid, "SIGKILL");
  boundary += 1;
}

prototype.write = async function (buffer, ...rest) {
  if (!isJournal(this)) return await write.call(this, buffer, ...rest);
  if (boundary === -1 && isBegin(buffer)) boundary = 0;
  if (boundary === -1) return await write.call(this, buffer, ...rest);
  pass();
  const written = await write.call(this, buffer, ...rest);
  pass();
  return written;
};

prototype.datasync = async function () {
  await datasync.call(this);
  if (boundary !== -1 && isJournal(this)) pass();
};
