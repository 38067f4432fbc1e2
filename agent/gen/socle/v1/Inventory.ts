// Original file: proto/socle/v1/host.proto

import type { CpuInventory as _socle_v1_CpuInventory, CpuInventory__Output as _socle_v1_CpuInventory__Output } from '../../socle/v1/CpuInventory.ts';
import type { NumaCell as _socle_v1_NumaCell, NumaCell__Output as _socle_v1_NumaCell__Output } from '../../socle/v1/NumaCell.ts';
import type { StoragePool as _socle_v1_StoragePool, StoragePool__Output as _socle_v1_StoragePool__Output } from '../../socle/v1/StoragePool.ts';
import type { Network as _socle_v1_Network, Network__Output as _socle_v1_Network__Output } from '../../socle/v1/Network.ts';
import type { PciDevice as _socle_v1_PciDevice, PciDevice__Output as _socle_v1_PciDevice__Output } from '../../socle/v1/PciDevice.ts';
import type { Compatibility as _socle_v1_Compatibility, Compatibility__Output as _socle_v1_Compatibility__Output } from '../../socle/v1/Compatibility.ts';

export interface Inventory {
  'complete'?: (boolean);
  'incompleteReasons'?: (string)[];
  'cpu'?: (_socle_v1_CpuInventory | null);
  'cells'?: (_socle_v1_NumaCell)[];
  'storagePools'?: (_socle_v1_StoragePool)[];
  'networks'?: (_socle_v1_Network)[];
  'traits'?: (string)[];
  'devices'?: (_socle_v1_PciDevice)[];
  'compatibility'?: (_socle_v1_Compatibility | null);
}

export interface Inventory__Output {
  'complete': (boolean);
  'incompleteReasons': (string)[];
  'cpu': (_socle_v1_CpuInventory__Output | null);
  'cells': (_socle_v1_NumaCell__Output)[];
  'storagePools': (_socle_v1_StoragePool__Output)[];
  'networks': (_socle_v1_Network__Output)[];
  'traits': (string)[];
  'devices': (_socle_v1_PciDevice__Output)[];
  'compatibility': (_socle_v1_Compatibility__Output | null);
}
