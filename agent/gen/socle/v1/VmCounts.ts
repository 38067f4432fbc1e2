// Original file: proto/socle/v1/host.proto


export interface VmCounts {
  'managed'?: (number);
  'unmanaged'?: (number);
  'running'?: (number);
  'unknown'?: (number);
  'complete'?: (boolean);
  'unresponsive'?: (number);
  'unreadable'?: (number);
}

export interface VmCounts__Output {
  'managed': (number);
  'unmanaged': (number);
  'running': (number);
  'unknown': (number);
  'complete': (boolean);
  'unresponsive': (number);
  'unreadable': (number);
}
