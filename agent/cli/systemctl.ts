import { execFile } from "node:child_process";

const TIMEOUT_MS = 5000;

/** What systemctl prints, whatever its exit status is; "" where it cannot be run. */
export const systemctl = (
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> =>
  new Promise((resolve) => {
    execFile("systemctl", args, { env: environment, timeout: TIMEOUT_MS }, (_error, stdout) =>
      resolve(stdout),
    );
  });
