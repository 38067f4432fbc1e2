// Original file: proto/socle/v1/host.proto


export interface Compatibility {
  'digest'?: (string);
  'accelerator'?: (string);
  'cpuModel'?: (string);
  'cpuVendor'?: (string);
  'cpuFeatures'?: (string)[];
  'hostCpuFeatures'?: (string)[];
  'machineTypes'?: (string)[];
}

export interface Compatibility__Output {
  'digest': (string);
  'accelerator': (string);
  'cpuModel': (string);
  'cpuVendor': (string);
  'cpuFeatures': (string)[];
  'hostCpuFeatures': (string)[];
  'machineTypes': (string)[];
}
