// Original file: proto/socle/v1/scheduler.proto


export interface Resync {
  'reason'?: (string);
}

export interface Resync__Output {
  'reason': (string);
}
