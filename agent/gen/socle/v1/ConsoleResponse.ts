// Original file: proto/socle/v1/vm.proto


export interface ConsoleResponse {
  'output'?: (Buffer | Uint8Array | string);
}

export interface ConsoleResponse__Output {
  'output': (Buffer);
}
