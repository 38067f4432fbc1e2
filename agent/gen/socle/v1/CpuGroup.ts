// Original file: proto/socle/v1/host.proto


export interface CpuGroup {
  'cpus'?: (number)[];
}

export interface CpuGroup__Output {
  'cpus': (number)[];
}
