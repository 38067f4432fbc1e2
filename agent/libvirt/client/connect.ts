import { Libvirt } from "./client.ts";
import type { LibvirtOptions } from "./options.ts";

export interface ConnectOptions extends Partial<LibvirtOptions> {
  /** Path of the daemon's socket, in place of the one that the URI stands for. */
  readonly socket?: string;
}

/**
 * Connects to the libvirt of this host, `qemu:///system` by default. The connection is kept up and repaired until `close`,
 * or the end of an `await using`. Throws why libvirt cannot be reached: `unavailable`, `denied`, `unsupported` or `invalid`.
 */
export function connect({ socket, ...options }: ConnectOptions = {}): Promise<Libvirt> {
  const { uri = "qemu:///system", environment = process.env } = options;
  const [base = "", query] = uri.split("?", 2);
  const parameters = new URLSearchParams(query);
  if (socket !== undefined) parameters.set("socket", socket);
  const target = parameters.size === 0 ? base : `${base}?${parameters.toString()}`;
  return Libvirt.connect({ ...options, environment, uri: target });
}
