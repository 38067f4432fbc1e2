import { execFile } from "node:child_process";
import { access, constants, readFile, stat, statfs } from "node:fs/promises";
import { connect } from "node:net";
import { promisify } from "node:util";
import { succeeds } from "../../kernel/thrown.ts";
import { formatBytes } from "../format.ts";
import { errorWord, speaker, type Finding } from "./finding.ts";

const leastNode = [20, 19] as const;
const libvirtTimeoutMs = 3000;

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const enough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  return enough
    ? speaker("node").ok(`Node ${version}`)
    : speaker("node").fail(`Node ${version} is too old`, `Install Node ${leastNode.join(".")} or later.`);
}

/** Whether libvirt's socket accepts connections. Only the agent knows whether the daemon responds on them. */
export async function checkLibvirt(uri: string, runtimeDirectory: string | undefined): Promise<Finding> {
  const say = speaker("libvirt");
  const sockets = libvirtSockets(uri, runtimeDirectory ?? "/run/user/0");
  const dead: string[] = [];
  for (const path of sockets) {
    const problem = await knock(path);
    if (problem === undefined) return say.ok(`${path} takes connections`);
    if (problem === "EACCES") {
      return say.warn(
        `this user may not use ${path}`,
        "The agent's user needs the group libvirt: usermod -aG libvirt USER",
      );
    }
    // A missing path is no evidence; a stale socket of one daemon may exist while the other serves.
    if (problem !== "ENOENT") dead.push(`${path} exists, but nothing accepts connections on it (${problem})`);
  }
  return say.fail(
    `libvirt is not running: ${dead.length > 0 ? dead.join("; ") : `there is no ${sockets.join(" or ")}`}`,
    "Start it: systemctl start libvirtd (without systemd: virtlogd -d, then libvirtd -d); or install libvirt-daemon-system.",
  );
}

/** Connects and closes; returns the system's error name on failure. */
const knock = (path: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect(path);
    const end = (problem?: string): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(libvirtTimeoutMs, () => end("ETIMEDOUT"));
    socket.once("connect", () => end());
    socket.once("error", (error) => end(errorWord(error)));
  });

/** libvirt's sockets in its client's order of search: the modular daemon first. */
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
    return say.ok("/dev/kvm can be opened (only a start proves that guests run on it)");
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

export async function checkStateDirectory(directory: string, isAgentRunning: boolean): Promise<Finding> {
  const say = speaker("state");
  try {
    const [{ mode }, space] = await Promise.all([stat(directory), statfs(directory)]);
    const free = space.bavail * space.bsize;
    if (free < 100 * 2 ** 20)
      return say.fail(`${directory} has ${formatBytes(free)} left`, "Free some: the journal needs it.");
    return (mode & 0o077) === 0
      ? say.ok(`${directory}, ${formatBytes(free)} free`)
      : say.warn(`users other than its owner may enter ${directory}`, `chmod 0700 ${directory}`);
  } catch (cause) {
    const word = errorWord(cause);
    if (word === "ENOENT" && isAgentRunning)
      return say.fail(
        `there is no ${directory}, and the agent runs`,
        "Put it back as it was, or restore it from a backup; restart the agent only after that: otherwise it begins with an empty state. Where the agent has another configuration, name that: --config FILE.",
      );
    if (word === "ENOENT")
      return say.warn(
        `there is no ${directory}`,
        "The agent creates an empty one when it starts. If it ran here before, restore its state directory first.",
      );
    return say.warn(
      `${directory} cannot be inspected: ${word}`,
      "Run socle doctor as root, or as the agent's user.",
    );
  }
}

/** Whether a time service runs, as far as files show it. */
export async function checkClock(): Promise<Finding> {
  const say = speaker("clock");
  const signs = [
    ["/run/systemd/timesync/synchronized", "systemd-timesyncd reports that the clock is synchronised"],
    ["/run/chrony/chronyd.pid", "chronyd is running"],
    ["/run/ntpd.pid", "ntpd is running"],
  ] as const;
  for (const [path, found] of signs) {
    if (await succeeds(readFile(path))) return say.ok(found);
  }
  return say.warn(
    "no time service seems to run",
    "Install systemd-timesyncd or chrony: certificates and events need the right time.",
  );
}

const systemctlTimeoutMs = 5000;
/** systemd.exec(5), EXIT_CREDENTIALS. */
const credentialsStatus = 243;

/** The unit's state and privileges in systemd. Undefined where systemd has no such unit. */
export async function checkUnit(
  environment: Readonly<Record<string, string | undefined>>,
  procRoot = "/proc",
): Promise<Finding | undefined> {
  const say = speaker("unit");
  const names = "LoadState,ActiveState,Result,MainPID,ExecMainStatus";
  const options = { env: environment, timeout: systemctlTimeoutMs };
  const shown = await promisify(execFile)(
    "systemctl",
    ["show", "socle-agent.service", `--property=${names}`],
    options,
  ).catch(() => undefined);
  const unit = new Map(shown?.stdout.split("\n").map((line) => [line.split("=")[0], line.split("=")[1]]));
  if (unit.get("LoadState") !== "loaded") return undefined;
  const pid = Number(unit.get("MainPID"));
  if (pid === 0 && Number(unit.get("ExecMainStatus")) === credentialsStatus) {
    return say.fail(
      "systemd cannot decrypt a credential of the agent, so it does not start it",
      "Try each /etc/credstore.encrypted/socle-*, as root: systemd-creds decrypt FILE - >/dev/null. Encrypt the one that fails anew, or move it away; systemd then starts the agent.",
    );
  }
  if (pid === 0) {
    const state = `socle-agent.service is ${unit.get("ActiveState") ?? ""} (${unit.get("Result") ?? ""})`;
    return say.warn(state, "journalctl -u socle-agent shows why; systemctl restart socle-agent.");
  }
  try {
    const status = await readFile(`${procRoot}/${pid}/status`, "utf8");
    const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    if (capabilities !== undefined && /^0+$/.test(capabilities))
      return say.ok(`socle-agent.service runs, process ${pid}, without capabilities`);
    return say.warn(
      `the agent faces the network and has capabilities that it does not need (CapEff ${capabilities ?? "unknown"})`,
      "systemctl cat socle-agent shows the drop-in that grants them: remove it and restart the agent. The hardware helper does the privileged reads.",
    );
  } catch (cause) {
    return say.warn(
      `the agent's capabilities cannot be read: ${errorWord(cause)}`,
      "Run socle doctor as root.",
    );
  }
}
