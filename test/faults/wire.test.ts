import { shortRun } from "./short-run.ts";

shortRun("wire", 24);
