// Original file: proto/socle/v1/vm.proto

import type { CpuTopology as _socle_v1_CpuTopology, CpuTopology__Output as _socle_v1_CpuTopology__Output } from '../../socle/v1/CpuTopology.ts';
import type { CpuMode as _socle_v1_CpuMode, CpuMode__Output as _socle_v1_CpuMode__Output } from '../../socle/v1/CpuMode.ts';
import type { Accelerator as _socle_v1_Accelerator, Accelerator__Output as _socle_v1_Accelerator__Output } from '../../socle/v1/Accelerator.ts';
import type { Firmware as _socle_v1_Firmware, Firmware__Output as _socle_v1_Firmware__Output } from '../../socle/v1/Firmware.ts';
import type { Disk as _socle_v1_Disk, Disk__Output as _socle_v1_Disk__Output } from '../../socle/v1/Disk.ts';
import type { Nic as _socle_v1_Nic, Nic__Output as _socle_v1_Nic__Output } from '../../socle/v1/Nic.ts';
import type { KernelBoot as _socle_v1_KernelBoot, KernelBoot__Output as _socle_v1_KernelBoot__Output } from '../../socle/v1/KernelBoot.ts';
import type { PlacementRequest as _socle_v1_PlacementRequest, PlacementRequest__Output as _socle_v1_PlacementRequest__Output } from '../../socle/v1/PlacementRequest.ts';
import type { LaunchSecurity as _socle_v1_LaunchSecurity, LaunchSecurity__Output as _socle_v1_LaunchSecurity__Output } from '../../socle/v1/LaunchSecurity.ts';
import type { CloudInit as _socle_v1_CloudInit, CloudInit__Output as _socle_v1_CloudInit__Output } from '../../socle/v1/CloudInit.ts';
import type { CrashPolicy as _socle_v1_CrashPolicy, CrashPolicy__Output as _socle_v1_CrashPolicy__Output } from '../../socle/v1/CrashPolicy.ts';
import type { Graphics as _socle_v1_Graphics, Graphics__Output as _socle_v1_Graphics__Output } from '../../socle/v1/Graphics.ts';
import type { Watchdog as _socle_v1_Watchdog, Watchdog__Output as _socle_v1_Watchdog__Output } from '../../socle/v1/Watchdog.ts';
import type { Long } from '@grpc/proto-loader';

export interface VmSpec {
  'name'?: (string);
  'vmId'?: (string);
  'vcpus'?: (number);
  'cpuTopology'?: (_socle_v1_CpuTopology | null);
  'cpuMode'?: (_socle_v1_CpuMode);
  'cpuModel'?: (string);
  'memoryBytes'?: (number | string | Long);
  'accelerator'?: (_socle_v1_Accelerator);
  'firmware'?: (_socle_v1_Firmware);
  'disks'?: (_socle_v1_Disk)[];
  'nics'?: (_socle_v1_Nic)[];
  'kernelBoot'?: (_socle_v1_KernelBoot | null);
  'guestAgent'?: (boolean);
  'tenant'?: (string);
  'labels'?: ({[key: string]: string});
  'autostart'?: (boolean);
  'placement'?: (_socle_v1_PlacementRequest | null);
  'tpm'?: (boolean);
  'launchSecurity'?: (_socle_v1_LaunchSecurity);
  'cloudInit'?: (_socle_v1_CloudInit | null);
  'startPriority'?: (number);
  'startDelaySeconds'?: (number);
  'crashPolicy'?: (_socle_v1_CrashPolicy);
  'maxVcpus'?: (number);
  'bootOrder'?: (string)[];
  'graphics'?: (_socle_v1_Graphics);
  'watchdog'?: (_socle_v1_Watchdog | null);
  'maxMemoryBytes'?: (number | string | Long);
}

export interface VmSpec__Output {
  'name': (string);
  'vmId': (string);
  'vcpus': (number);
  'cpuTopology': (_socle_v1_CpuTopology__Output | null);
  'cpuMode': (_socle_v1_CpuMode__Output);
  'cpuModel': (string);
  'memoryBytes': (number);
  'accelerator': (_socle_v1_Accelerator__Output);
  'firmware': (_socle_v1_Firmware__Output);
  'disks': (_socle_v1_Disk__Output)[];
  'nics': (_socle_v1_Nic__Output)[];
  'kernelBoot': (_socle_v1_KernelBoot__Output | null);
  'guestAgent': (boolean);
  'tenant': (string);
  'labels': ({[key: string]: string});
  'autostart': (boolean);
  'placement': (_socle_v1_PlacementRequest__Output | null);
  'tpm': (boolean);
  'launchSecurity': (_socle_v1_LaunchSecurity__Output);
  'cloudInit': (_socle_v1_CloudInit__Output | null);
  'startPriority': (number);
  'startDelaySeconds': (number);
  'crashPolicy': (_socle_v1_CrashPolicy__Output);
  'maxVcpus': (number);
  'bootOrder': (string)[];
  'graphics': (_socle_v1_Graphics__Output);
  'watchdog': (_socle_v1_Watchdog__Output | null);
  'maxMemoryBytes': (number);
}
