import { shortRun } from "./short-run.ts";

// Two lives of a disk of a stopped VM, and one of a running one. A guest that keeps its disks takes 15 s for each refusal.
shortRun("devices", 21);
