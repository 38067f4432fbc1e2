import { shortRun } from "./short-run.ts";

// A life of a disk and a NIC of a stopped VM, and one of a running VM. A guest that keeps its disks takes 15 s for each refusal.
shortRun("devices", 21);
