import { access, constants, readFile, stat, statfs } from "node:fs/promises";
import { formatBytes } from "../format.ts";
import { errorWord, speaker, type Finding } from "./finding.ts";

const leastNode = [20, 19] as const;

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const enough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  return enough
    ? speaker("node").ok(`Node ${version}`)
    : speaker("node").fail(`Node ${version} is too old`, `Install Node ${leastNode.join(".")} or later.`);
}

/** Whether libvirt's socket is there and this user may use it. Whether the daemon answers, the agent knows. */
export async function checkLibvirt(uri: string, runtimeDirectory: string | undefined): Promise<Finding> {
  const say = speaker("libvirt");
  const sockets = libvirtSockets(uri, runtimeDirectory ?? "/run/user/0");
  for (const path of sockets) {
    try {
      if (!(await stat(path)).isSocket())
        return say.fail(`${path} is not a socket`, "Remove it and restart libvirt.");
      await access(path, constants.R_OK | constants.W_OK);
      return say.ok(`${path} is there`);
    } catch (cause) {
      if (errorWord(cause) === "EACCES") {
        return say.warn(
          `this user may not use ${path}`,
          "The agent's user needs the group libvirt: usermod -aG libvirt USER",
        );
      }
    }
  }
  return say.fail(
    `libvirt is not running: there is no ${sockets.join(" or ")}`,
    "Start it: systemctl start libvirtd (without systemd: virtlogd -d, then libvirtd -d); or install libvirt-daemon-system.",
  );
}

/** Where libvirt listens, the modular daemon first, as its own client looks for it. */
function libvirtSockets(uri: string, runtimeDirectory: string): string[] {
  const socket = /[?&]socket=([^&]+)/.exec(uri)?.[1];
  if (socket !== undefined) return [decodeURIComponent(socket)];
  const directory = uri.includes("/session") ? `${runtimeDirectory}/libvirt` : "/run/libvirt";
  return [`${directory}/virtqemud-sock`, `${directory}/libvirt-sock`];
}

export async function checkKvm(accelerator: "auto" | "kvm" | "tcg"): Promise<Finding> {
  const say = speaker("kvm");
  if (accelerator === "tcg") return say.ok("not used: vm.accelerator is tcg");
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
    return say.ok("/dev/kvm can be opened (whether guests run on it shows when one starts)");
  } catch (cause) {
    const why = errorWord(cause) === "ENOENT" ? "there is no /dev/kvm" : `/dev/kvm: ${errorWord(cause)}`;
    const next =
      errorWord(cause) === "ENOENT"
        ? "Enable virtualisation in the firmware and load kvm_intel or kvm_amd."
        : "The user that runs QEMU needs the group kvm.";
    return accelerator === "kvm"
      ? say.fail(why, next)
      : say.warn(`${why}: guests are emulated, which is slow`, next);
  }
}

export async function checkStateDirectory(directory: string): Promise<Finding> {
  const say = speaker("state");
  try {
    const [{ mode }, space] = await Promise.all([stat(directory), statfs(directory)]);
    const free = space.bavail * space.bsize;
    if (free < 100 * 2 ** 20) {
      return say.fail(
        `${directory} has ${formatBytes(free)} left`,
        "Free some: the journal must be written.",
      );
    }
    return (mode & 0o077) === 0
      ? say.ok(`${directory}, ${formatBytes(free)} free`)
      : say.warn(`others than its owner may enter ${directory}`, `chmod 0700 ${directory}`);
  } catch (cause) {
    const word = errorWord(cause);
    if (word === "ENOENT")
      return say.warn(`there is no ${directory} yet`, "The agent makes it when it starts.");
    return say.warn(
      `${directory} cannot be looked at: ${word}`,
      "Run socle doctor as root, or as the agent's user.",
    );
  }
}

/** Whether something keeps the clock right, as far as can be seen without asking it. */
export async function checkClock(): Promise<Finding> {
  const say = speaker("clock");
  const signs = [
    ["/run/systemd/timesync/synchronized", "systemd-timesyncd says it is synchronised"],
    ["/run/chrony/chronyd.pid", "chronyd is running"],
    ["/run/ntpd.pid", "ntpd is running"],
  ] as const;
  for (const [path, found] of signs) {
    if (
      await readFile(path).then(
        () => true,
        () => false,
      )
    )
      return say.ok(found);
  }
  return say.warn(
    "nothing seems to keep the clock right",
    "Install systemd-timesyncd or chrony: certificates and events need the right time.",
  );
}
