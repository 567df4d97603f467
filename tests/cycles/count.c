/* A plugin for QEMU: counts the executed instructions by address, in windows. A window opens when one address is executed and
 * closes when another is; it is written as a line `window` and lines `address count`.
 *
 * Arguments: out=FILE, begin=ADDRESS and end=ADDRESS. The functions are declared here because distributions of QEMU leave its
 * qemu-plugin.h out. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
/* Thumb instructions from address 0 on, two bytes each: 8 MiB of flash. */
#define PLACES (1u << 22)

typedef uint64_t plugin_id;
struct block;
struct instruction;

EXPORT int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
size_t qemu_plugin_tb_n_insns(const struct block *);
struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct instruction *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct instruction *, int add, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *, void (*)(unsigned, void *), int registers, void *);

static uint64_t counts[PLACES];
static uint64_t begin, end;
static bool open;
static FILE *out;

static void at_begin(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    if (!open)
        memset(counts, 0, sizeof counts);
    open = true;
}

static void at_end(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    if (!open)
        return;
    open = false;
    fprintf(out, "window\n");
    for (uint64_t place = 0; place < PLACES; place++)
        if (counts[place])
            fprintf(out, "%" PRIx64 " %" PRIu64 "\n", 2 * place, counts[place]);
    fflush(out);
}

static void translated(plugin_id id, struct block *block) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) {
        struct instruction *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        uint64_t place = address / 2 % PLACES;
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, 0, &counts[place], 1);
        if (address == begin)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_begin, 0, NULL);
        if (address == end)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_end, 0, NULL);
    }
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
        if (!strncmp(argv[i], "begin=", 6))
            begin = strtoull(argv[i] + 6, NULL, 0);
        if (!strncmp(argv[i], "end=", 4))
            end = strtoull(argv[i] + 4, NULL, 0);
    }
    if (!out || !begin || !end) {
        fprintf(stderr, "count: needs out=FILE, begin=ADDRESS and end=ADDRESS\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
