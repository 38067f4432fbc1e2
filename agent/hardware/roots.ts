/** Directories of the kernel's files. Injected, so that tests can read the tree of another machine. */
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
