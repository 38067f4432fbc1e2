// Original file: proto/socle/v1/vm.proto

export const Graphics = {
  GRAPHICS_UNSPECIFIED: 'GRAPHICS_UNSPECIFIED',
  GRAPHICS_VNC: 'GRAPHICS_VNC',
} as const;

export type Graphics =
  | 'GRAPHICS_UNSPECIFIED'
  | 0
  | 'GRAPHICS_VNC'
  | 1

export type Graphics__Output = typeof Graphics[keyof typeof Graphics]
