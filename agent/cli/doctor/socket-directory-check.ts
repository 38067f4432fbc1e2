import { stat } from "node:fs/promises";
import { errorWord, speaker, type Finding } from "./finding.ts";

const create =
  "systemd-tmpfiles --create socle.conf makes /run/socle-guests. For another directory: install -d -m 2770 -o QEMU_USER -g socle DIRECTORY";

/** Whether QEMU can make sockets for the agent there, closed to other users. */
export async function checkSocketDirectory(directory: string): Promise<Finding> {
  const say = speaker("sockets");
  try {
    const found = await stat(directory);
    if (!found.isDirectory()) return say.fail(`${directory} is not a directory`, create);
    if ((found.mode & 0o007) !== 0)
      return say.fail(
        `users other than its owner and group may enter ${directory}, and so reach the screens of guests`,
        create,
      );
    if ((found.mode & 0o2070) !== 0o2070)
      return say.warn(
        `${directory} is not setgid and writable for its group: the agent cannot open the sockets that QEMU makes there`,
        create,
      );
    return say.ok(`QEMU makes sockets for the agent in ${directory}`);
  } catch (cause) {
    const why = errorWord(cause);
    if (why === "ENOENT") return say.warn(`there is no ${directory}: VMs with a screen do not start`, create);
    return say.warn(`${directory} cannot be inspected: ${why}`, "Run socle doctor as root.");
  }
}
