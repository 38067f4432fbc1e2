/** Where the kernel's files are. Injected, so that tests read a tree in the shape of another machine. */
export interface Roots {
  readonly procRoot: string;
  readonly sysRoot: string;
  readonly devRoot: string;
  readonly etcRoot: string;
  readonly runRoot: string;
}

export const systemRoots: Roots = {
  procRoot: "/proc",
  sysRoot: "/sys",
  devRoot: "/dev",
  etcRoot: "/etc",
  runRoot: "/run",
};
