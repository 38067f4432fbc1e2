# Preloaded into Debian's libvirtd, which then is one of libvirt's modular daemons: it tells the drivers that are
# loaded that they are not all of libvirt, so that each finds the others through their daemons' sockets.
# libvirt's own virStateInitialize(privileged, mandatory, root, monolithic, ...) gets `monolithic` as false.
        .globl  virStateInitialize
        .type   virStateInitialize, @function
virStateInitialize:
        push    %rdi
        push    %rsi
        push    %rdx
        push    %r8
        push    %r9
        mov     $-1, %rdi                       # RTLD_NEXT
        lea     name(%rip), %rsi
        call    dlsym@PLT
        pop     %r9
        pop     %r8
        pop     %rdx
        pop     %rsi
        pop     %rdi
        xor     %ecx, %ecx
        jmp     *%rax
name:   .asciz  "virStateInitialize"
        .section .note.GNU-stack, "", @progbits
