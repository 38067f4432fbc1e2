import { shortRun } from "./short-run.ts";

shortRun("clock", 4);
