/* The pack, read in place: at a multiple of 16, which serves every kernel. */
    .section .rodata.pack, "a"
    .balign 16
    .global pack_begin
    .global pack_end
pack_begin:
    .incbin PACK
pack_end:
    .byte 0
