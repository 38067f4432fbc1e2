/**
 * Child process that prints this machine's identity from systeminformation as one line of JSON. A child, because
 * the library starts a dozen programs and some calls block the event loop. Never networkInterfaces(): it takes seconds.
 */
import { baseboard, system } from "systeminformation";

const [machine, board] = await Promise.all([system(), baseboard()]);
process.stdout.write(
  JSON.stringify({
    vendor: machine.manufacturer,
    model: machine.model,
    serial: machine.serial,
    boardVendor: board.manufacturer,
    boardModel: board.model,
  }) + "\n",
);
