// Loaded into an agent first (node --import): moves its wall clock by the milliseconds in the file SOCLE_CLOCK_OFFSET, at its
// start and again after every SIGUSR2; FILE.applied confirms both.
import { readFileSync, writeFileSync } from "node:fs";

const file = process.env.SOCLE_CLOCK_OFFSET;
let offsetMs = 0;
const apply = () => {
  offsetMs = Number(readFileSync(file, "utf8"));
  writeFileSync(`${file}.applied`, String(offsetMs));
};
apply();
process.on("SIGUSR2", apply);

const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(...args);
  }

  static now() {
    return RealDate.now() + offsetMs;
  }
};
