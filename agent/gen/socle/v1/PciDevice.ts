// Original file: proto/socle/v1/host.proto

import type { PciDeviceKind as _socle_v1_PciDeviceKind, PciDeviceKind__Output as _socle_v1_PciDeviceKind__Output } from '../../socle/v1/PciDeviceKind.ts';
import type { VirtualFunctions as _socle_v1_VirtualFunctions, VirtualFunctions__Output as _socle_v1_VirtualFunctions__Output } from '../../socle/v1/VirtualFunctions.ts';

export interface PciDevice {
  'address'?: (string);
  'kind'?: (_socle_v1_PciDeviceKind);
  'classCode'?: (number);
  'vendorId'?: (number);
  'productId'?: (number);
  'vendor'?: (string);
  'product'?: (string);
  'driver'?: (string);
  'iommuGroup'?: (number);
  'cell'?: (number);
  'virtualFunctions'?: (_socle_v1_VirtualFunctions | null);
  'parent'?: (string);
  '_iommuGroup'?: "iommuGroup";
  '_cell'?: "cell";
}

export interface PciDevice__Output {
  'address': (string);
  'kind': (_socle_v1_PciDeviceKind__Output);
  'classCode': (number);
  'vendorId': (number);
  'productId': (number);
  'vendor': (string);
  'product': (string);
  'driver': (string);
  'iommuGroup'?: (number);
  'cell'?: (number);
  'virtualFunctions': (_socle_v1_VirtualFunctions__Output | null);
  'parent': (string);
  '_iommuGroup'?: "iommuGroup";
  '_cell'?: "cell";
}
