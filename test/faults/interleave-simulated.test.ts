import { shortRun } from "./short-run.ts";

// Its simulations yield the CPU to other tests, and machines differ.
shortRun("interleave", 400, { part: "simulated", timeoutMs: 1_700_000 });
