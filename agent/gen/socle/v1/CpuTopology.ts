// Original file: proto/socle/v1/vm.proto


export interface CpuTopology {
  'sockets'?: (number);
  'cores'?: (number);
  'threads'?: (number);
}

export interface CpuTopology__Output {
  'sockets': (number);
  'cores': (number);
  'threads': (number);
}
