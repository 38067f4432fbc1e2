import type { Command as Cli } from "commander";
import { whole } from "./options.ts";
import type { Bind } from "./session.ts";

/** `socle vm screen` and `socle vm screenshot`. */
export function addVmScreens(vm: Cli, bind: Bind): void {
  vm.command("screen")
    .description("A VM's screen (VNC), in a viewer on this machine; it needs graphics: vnc in its spec.")
    .argument("<vm>", "Its name or id.")
    .option("--port <number>", "The port on 127.0.0.1; default: a free one.", whole("--port", 1))
    .option("--viewer <program>", "The viewer to start; default: one that is installed.")
    .option("--no-viewer", "Only print where a viewer can connect.")
    .action(bind(async () => (await import("./commands/vm-screen.ts")).openScreen));
  vm.command("screenshot")
    .description("A picture of a VM's screen, as PNG.")
    .argument("<vm>", "Its name or id.")
    .requiredOption("-o, --output <file>", "The file to write; - for stdout.")
    .option("--screen <number>", "Of a VM with several; default: 0, the first.", whole("--screen", 0))
    .action(bind(async () => (await import("./commands/vm-screenshot.ts")).takeScreenshot));
}
