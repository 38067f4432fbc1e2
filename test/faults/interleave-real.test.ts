import { shortRun } from "./short-run.ts";

shortRun("interleave", 1000, { part: "real" });
