// Original file: proto/socle/v1/vm.proto


export interface ConsoleRequest {
  'vm'?: (string);
  'force'?: (boolean);
  'input'?: (Buffer | Uint8Array | string);
}

export interface ConsoleRequest__Output {
  'vm': (string);
  'force': (boolean);
  'input': (Buffer);
}
