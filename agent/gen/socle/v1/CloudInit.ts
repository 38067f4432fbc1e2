// Original file: proto/socle/v1/vm.proto


export interface CloudInit {
  'hostname'?: (string);
  'sshKeys'?: (string)[];
  'userData'?: (string);
  'networkConfig'?: (string);
  'pool'?: (string);
}

export interface CloudInit__Output {
  'hostname': (string);
  'sshKeys': (string)[];
  'userData': (string);
  'networkConfig': (string);
  'pool': (string);
}
