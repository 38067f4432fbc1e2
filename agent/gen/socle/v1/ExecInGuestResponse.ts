// Original file: proto/socle/v1/guest.proto


export interface ExecInGuestResponse {
  'exitCode'?: (number);
  'signal'?: (number);
  'output'?: (Buffer | Uint8Array | string);
  'errorOutput'?: (Buffer | Uint8Array | string);
  'truncated'?: (boolean);
  '_exitCode'?: "exitCode";
  '_signal'?: "signal";
}

export interface ExecInGuestResponse__Output {
  'exitCode'?: (number);
  'signal'?: (number);
  'output': (Buffer);
  'errorOutput': (Buffer);
  'truncated': (boolean);
  '_exitCode'?: "exitCode";
  '_signal'?: "signal";
}
