/* SPDX-License-Identifier: Apache-2.0 */

/* The eBPF programs, compiled (CMakeLists.txt), as bytes in the daemon, each with its size. */
	.section .rodata
	.balign 8
	.global connect_object, connect_object_bytes
connect_object:
	.incbin "witness.bpf.o"
1:	.balign 8
connect_object_bytes:
	.quad 1b - connect_object
	.global holders_object, holders_object_bytes
holders_object:
	.incbin "holders.bpf.o"
2:	.balign 8
holders_object_bytes:
	.quad 2b - holders_object
	.section .note.GNU-stack, "", @progbits
