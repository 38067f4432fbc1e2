/**
 * The child that asks systeminformation who this machine is, once, and prints it as one line of JSON. A child, because
 * it starts a dozen programs and some of its calls stop the event loop. Never networkInterfaces(): seconds of it.
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
