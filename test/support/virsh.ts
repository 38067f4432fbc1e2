import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * libvirt's own client: a second way to observe and change what the agent manages. Returns its trimmed
 * output; throws with its message when it fails or takes longer than `timeoutMs`.
 */
export async function virsh(
  uri: string,
  args: readonly string[],
  options: { timeoutMs?: number } = {},
): Promise<string> {
  const { stdout } = await run("virsh", ["--connect", uri, "--quiet", ...args], {
    timeout: options.timeoutMs ?? 60_000,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, LC_ALL: "C" },
  });
  return stdout.trim();
}
