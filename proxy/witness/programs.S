/* SPDX-License-Identifier: Apache-2.0 */

/* The eBPF programs, compiled (CMakeLists.txt), as bytes in the daemon. */
	.section .rodata
	.balign 8
	.global connect_object, connect_object_end
connect_object:
	.incbin "witness.bpf.o"
connect_object_end:
	.balign 8
	.global holders_object, holders_object_end
holders_object:
	.incbin "holders.bpf.o"
holders_object_end:
	.section .note.GNU-stack, "", @progbits
