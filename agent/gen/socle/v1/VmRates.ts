// Original file: proto/socle/v1/vm.proto


export interface VmRates {
  'cpuCores'?: (number | string);
  'diskReadBytesPerSecond'?: (number | string);
  'diskWriteBytesPerSecond'?: (number | string);
  'receiveBytesPerSecond'?: (number | string);
  'transmitBytesPerSecond'?: (number | string);
  '_cpuCores'?: "cpuCores";
  '_diskReadBytesPerSecond'?: "diskReadBytesPerSecond";
  '_diskWriteBytesPerSecond'?: "diskWriteBytesPerSecond";
  '_receiveBytesPerSecond'?: "receiveBytesPerSecond";
  '_transmitBytesPerSecond'?: "transmitBytesPerSecond";
}

export interface VmRates__Output {
  'cpuCores'?: (number);
  'diskReadBytesPerSecond'?: (number);
  'diskWriteBytesPerSecond'?: (number);
  'receiveBytesPerSecond'?: (number);
  'transmitBytesPerSecond'?: (number);
  '_cpuCores'?: "cpuCores";
  '_diskReadBytesPerSecond'?: "diskReadBytesPerSecond";
  '_diskWriteBytesPerSecond'?: "diskWriteBytesPerSecond";
  '_receiveBytesPerSecond'?: "receiveBytesPerSecond";
  '_transmitBytesPerSecond'?: "transmitBytesPerSecond";
}
