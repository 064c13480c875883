/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs @model@ on files. See README.txt; `./@model@ --help` lists the options.
 *
 * This is the only file with floating point: it quantizes float32 inputs and prints real values. Your application needs
 * neither this file nor npu_md5.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "@model@.h"
#include "npu_md5.h"

#define LONGEST_LINE 4096

typedef struct options {
    const char *weights;
    const char *inputs[@MODEL@_INPUT_COUNT + 1];
    int input_count;
    const char *dump;   /* folder for every tensor */
    const char *check;  /* folder with a known answer */
    const char *output; /* folder for the outputs */
    int top;
    int repeat;
} options;

typedef struct buffers {
    void *weights;
    void *arena;
} buffers;

typedef struct record {
    const char *dump;
    char digests[@MODEL@_TENSOR_COUNT][33];
} record;

static const double input_scales[] = @MODEL@_INPUT_SCALES;
static const double output_scales[] = @MODEL@_OUTPUT_SCALES;

static void fail(const char *subject, const char *message)
{
    fprintf(stderr, "error: %s: %s\n", subject, message);
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL)
        fail("memory", "out of memory");
    return memory;
}

static char *joined(const char *folder, const char *name)
{
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = (char *)allocate(size);
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data;
    long length = 0;
    if (file == NULL)
        fail(path, strerror(errno));
    if (fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        fail(path, "cannot be read");
    data = (unsigned char *)allocate((size_t)length);
    *size = fread(data, 1, (size_t)length, file);
    if (*size != (size_t)length)
        fail(path, "cannot be read");
    fclose(file);
    return data;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail(path, strerror(errno));
    if (fwrite(data, 1, size, file) != size || fclose(file) != 0)
        fail(path, "cannot be written");
}

static const char *type_name(int32_t type)
{
    return type == NPU_U8 ? "u8" : type == NPU_I8 ? "i8" : "i16";
}

static size_t bytes_of(const npu_tensor *tensor)
{
    return (size_t)tensor->size * (size_t)npu_type_size(tensor->type);
}

static int32_t code_at(const npu_tensor *tensor, const void *codes, int32_t index)
{
    if (tensor->type == NPU_U8)
        return ((const uint8_t *)codes)[index];
    if (tensor->type == NPU_I8)
        return ((const int8_t *)codes)[index];
    return ((const int16_t *)codes)[index];
}

static void set_code(const npu_tensor *tensor, void *codes, int32_t index, int32_t code)
{
    if (tensor->type == NPU_U8)
        ((uint8_t *)codes)[index] = (uint8_t)code;
    else if (tensor->type == NPU_I8)
        ((int8_t *)codes)[index] = (int8_t)code;
    else
        ((int16_t *)codes)[index] = (int16_t)code;
}

/* ---- codes to and from files: always little endian ---- */

static int32_t stored_code(const unsigned char *bytes, int32_t type)
{
    if (type == NPU_U8)
        return bytes[0];
    if (type == NPU_I8)
        return bytes[0] < 128 ? bytes[0] : bytes[0] - 256;
    return (bytes[0] | bytes[1] << 8) - (bytes[1] < 128 ? 0 : 65536);
}

static unsigned char *to_bytes(const npu_tensor *tensor, const void *codes)
{
    const size_t size = (size_t)npu_type_size(tensor->type);
    unsigned char *bytes = (unsigned char *)allocate(bytes_of(tensor));
    int32_t index;
    for (index = 0; index < tensor->size; index++) {
        const uint32_t code = (uint32_t)code_at(tensor, codes, index);
        bytes[(size_t)index * size] = (unsigned char)(code & 0xFFu);
        if (size == 2)
            bytes[(size_t)index * size + 1] = (unsigned char)(code >> 8 & 0xFFu);
    }
    return bytes;
}

static void from_bytes(const npu_tensor *tensor, const unsigned char *bytes, void *codes)
{
    const size_t size = (size_t)npu_type_size(tensor->type);
    int32_t index;
    for (index = 0; index < tensor->size; index++)
        set_code(tensor, codes, index, stored_code(bytes + (size_t)index * size, tensor->type));
}

/* ---- inputs ---- */

/* clamp(round_half_even(value / scale) + zero_point); the quotient is stored so that it is a float everywhere. */
static int32_t quantized(const npu_tensor *tensor, double scale, float value)
{
    volatile float quotient = value / (float)scale;
    const double steps = (double)quotient;
    int64_t whole, code;
    double rest;
    if (steps >= 1e9)
        return tensor->high;
    if (steps <= -1e9)
        return tensor->low;
    whole = (int64_t)steps;
    rest = steps - (double)whole;
    if (rest > 0.5 || (rest == 0.5 && whole % 2 != 0))
        whole++;
    else if (rest < -0.5 || (rest == -0.5 && whole % 2 != 0))
        whole--;
    code = whole + tensor->zero_point;
    return code < tensor->low ? tensor->low : code > tensor->high ? tensor->high : (int32_t)code;
}

static void quantize_floats(const char *path, const npu_tensor *tensor, double scale, const unsigned char *bytes,
                            void *codes)
{
    int32_t index;
    for (index = 0; index < tensor->size; index++, bytes += 4) {
        const uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                              (uint32_t)bytes[3] << 24;
        float value;
        memcpy(&value, &bits, sizeof value);
        if (value != value)
            fail(path, "holds a value that is not a number");
        set_code(tensor, codes, index, quantized(tensor, scale, value));
    }
}

/* The text behind 'key': in the header of a .npy file, or "". */
static const char *npy_entry(const char *header, const char *key)
{
    const char *found = strstr(header, key);
    if (found == NULL)
        return "";
    found += strlen(key);
    return found + strspn(found, " :");
}

static void load_npy(const char *path, const npu_tensor *tensor, double scale, const unsigned char *data, size_t size,
                     void *codes)
{
    const char *own_type = tensor->type == NPU_U8 ? "'|u1'" : tensor->type == NPU_I8 ? "'|i1'" : "'<i2'";
    size_t start, length, element;
    char *header;
    int is_float;

    if (size < 12 || memcmp(data, "\x93NUMPY", 6) != 0)
        fail(path, "is no .npy file");
    start = data[6] == 1 ? 10 : 12;
    length = (size_t)data[8] | (size_t)data[9] << 8;
    if (start == 12)
        length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > size - start)
        fail(path, "is cut off");
    header = (char *)allocate(length + 1);
    memcpy(header, data + start, length);
    header[length] = '\0';
    is_float = strncmp(npy_entry(header, "'descr'"), "'<f4'", 5) == 0;
    if (!is_float && strncmp(npy_entry(header, "'descr'"), own_type, 5) != 0)
        fail(path, "has to hold little-endian float32 or codes of the input's type (--info)");
    if (strncmp(npy_entry(header, "'fortran_order'"), "False", 5) != 0)
        fail(path, "is stored in Fortran order; save it in C order");
    free(header);
    element = is_float ? 4 : (size_t)npu_type_size(tensor->type);
    if (size - start - length != (size_t)tensor->size * element)
        fail(path, "has another number of elements than the input (--info)");
    if (is_float)
        quantize_floats(path, tensor, scale, data + start + length, codes);
    else
        from_bytes(tensor, data + start + length, codes);
}

static void load_input(const char *path, const npu_tensor *tensor, double scale, void *codes)
{
    const size_t length = strlen(path);
    size_t size;
    unsigned char *data = read_file(path, &size);
    if (length > 4 && strcmp(path + length - 4, ".npy") == 0)
        load_npy(path, tensor, scale, data, size, codes);
    else if (size == bytes_of(tensor))
        from_bytes(tensor, data, codes);
    else if (size == (size_t)tensor->size * 4)
        fail(path, "has the size of float32 values, codes are expected; floats are read from .npy files");
    else
        fail(path, "has another size than the codes of the input (--info)");
    free(data);
}

/* ---- outputs, dumps and the known answer ---- */

static void print_name(FILE *file, const char *name)
{
    for (; *name != '\0'; name++)
        fputc((unsigned char)*name < 32 || *name == 127 ? '?' : *name, file);
}

static void print_shape(FILE *file, const npu_tensor *tensor)
{
    int32_t axis;
    for (axis = 0; axis < tensor->rank; axis++)
        fprintf(file, axis > 0 ? "x%ld" : "%ld", (long)tensor->shape[axis]);
    if (tensor->rank == 0)
        fputs("scalar", file);
}

static void output_name(char *name, size_t size, int index)
{
    const npu_tensor *tensor = @model@_output_tensor(index);
    size_t used = (size_t)snprintf(name, size, "output%d", index);
    int32_t axis;
    for (axis = 0; axis < tensor->rank; axis++)
        used += (size_t)snprintf(name + used, size - used, "_%ld", (long)tensor->shape[axis]);
    snprintf(name + used, size - used, ".dat");
}

static void tensor_done(void *context, int index, const void *codes)
{
    record *seen = (record *)context;
    const npu_tensor *tensor = @model@_tensor(index);
    unsigned char *bytes = to_bytes(tensor, codes);
    npu_md5(bytes, bytes_of(tensor), seen->digests[index]);
    if (seen->dump != NULL) {
        char *path = joined(seen->dump, tensor->file);
        write_file(path, bytes, bytes_of(tensor));
        free(path);
    }
    free(bytes);
}

/* The list of all tensors, in the form of golden/layers.txt. */
static void write_list(const record *seen)
{
    char *path = joined(seen->dump, "layers.txt");
    FILE *file = fopen(path, "wb");
    int index;
    if (file == NULL)
        fail(path, strerror(errno));
    fputs("# md5 file type shape tensor\n", file);
    for (index = 0; index < @MODEL@_TENSOR_COUNT; index++) {
        const npu_tensor *tensor = @model@_tensor(index);
        fprintf(file, "%s %s %s ", seen->digests[index], tensor->file, type_name(tensor->type));
        print_shape(file, tensor);
        fputc(' ', file);
        print_name(file, tensor->name);
        fputc('\n', file);
    }
    if (fclose(file) != 0)
        fail(path, "cannot be written");
    free(path);
}

static void print_maker(const npu_tensor *tensor)
{
    if (tensor->layer[0] == '\0') {
        printf("input \"");
        print_name(stdout, tensor->name);
    } else {
        printf("layer \"");
        print_name(stdout, tensor->layer);
        printf("\", tensor \"");
        print_name(stdout, tensor->name);
    }
    putchar('"');
}

/* Compares every tensor with the list; returns how many differ and names the first. */
static int check_layers(const char *folder, const record *seen)
{
    char *path = joined(folder, "layers.txt");
    FILE *file = fopen(path, "rb");
    char line[LONGEST_LINE], digest[33], name[256];
    int differing = 0, compared = 0, index;
    if (file == NULL)
        fail(path, strerror(errno));
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#' || sscanf(line, "%32s %255s", digest, name) != 2)
            continue;
        for (index = 0; index < @MODEL@_TENSOR_COUNT; index++)
            if (strcmp(@model@_tensor(index)->file, name) == 0)
                break;
        if (index == @MODEL@_TENSOR_COUNT)
            fail(path, "lists a tensor that this model does not have");
        compared++;
        if (strcmp(digest, seen->digests[index]) == 0)
            continue;
        if (differing++ == 0) {
            printf("FAIL first difference: ");
            print_maker(@model@_tensor(index));
            printf(": md5 %s, expected %s\n", seen->digests[index], digest);
        }
    }
    fclose(file);
    free(path);
    if (compared != @MODEL@_TENSOR_COUNT) {
        printf("FAIL %s/layers.txt lists %d of %d tensors\n", folder, compared, @MODEL@_TENSOR_COUNT);
        return differing + 1;
    }
    if (differing == 0)
        printf("ok   %d tensors, byte for byte\n", compared);
    return differing;
}

static int check_output(const char *folder, int index, const unsigned char *bytes)
{
    const npu_tensor *tensor = @model@_output_tensor(index);
    const int32_t size = (int32_t)npu_type_size(tensor->type);
    char name[160];
    char *path;
    unsigned char *expected;
    size_t length;
    int32_t position, first = -1, count = 0;

    output_name(name, sizeof name, index);
    path = joined(folder, name);
    expected = read_file(path, &length);
    if (length != bytes_of(tensor))
        fail(path, "has another size than the output");
    for (position = 0; position < tensor->size; position++) {
        if (memcmp(bytes + position * size, expected + position * size, (size_t)size) == 0)
            continue;
        if (count++ == 0)
            first = position;
    }
    if (count > 0) {
        printf("FAIL output %d (", index);
        print_maker(tensor);
        printf(") differs from %s: %ld of %ld codes, the first at %ld: %ld, expected %ld\n", path, (long)count,
               (long)tensor->size, (long)first, (long)stored_code(bytes + first * size, tensor->type),
               (long)stored_code(expected + first * size, tensor->type));
    } else {
        printf("ok   %s\n", path);
    }
    free(expected);
    free(path);
    return count > 0;
}

static void print_top(int index, const void *codes, int top)
{
    const npu_tensor *tensor = @model@_output_tensor(index);
    unsigned char *shown = (unsigned char *)allocate((size_t)tensor->size);
    int32_t position, best;
    int rank;
    memset(shown, 0, (size_t)tensor->size);
    printf("output %d \"", index);
    print_name(stdout, tensor->name);
    printf("\" ");
    print_shape(stdout, tensor);
    printf(" %s\n", type_name(tensor->type));
    for (rank = 1; rank <= top && rank <= tensor->size; rank++) {
        best = -1;
        for (position = 0; position < tensor->size; position++)
            if (!shown[position] &&
                (best < 0 || code_at(tensor, codes, position) > code_at(tensor, codes, best)))
                best = position;
        shown[best] = 1;
        printf("  %d. index %ld  value %.6g  code %ld\n", rank, (long)best,
               (code_at(tensor, codes, best) - tensor->zero_point) * output_scales[index],
               (long)code_at(tensor, codes, best));
    }
    free(shown);
}

/* ---- command line ---- */

static void print_port(const char *kind, int index, const npu_tensor *tensor, double scale)
{
    printf("%s %d \"", kind, index);
    print_name(stdout, tensor->name);
    printf("\" ");
    print_shape(stdout, tensor);
    printf(" %s, real = (code - %ld) * %.10g\n", type_name(tensor->type), (long)tensor->zero_point, scale);
}

static void print_info(void)
{
    int index;
    for (index = 0; index < @MODEL@_INPUT_COUNT; index++)
        print_port("input", index, @model@_input_tensor(index), input_scales[index]);
    for (index = 0; index < @MODEL@_OUTPUT_COUNT; index++)
        print_port("output", index, @model@_output_tensor(index), output_scales[index]);
    printf("arena %lu bytes, weights file %lu bytes\n", (unsigned long)@MODEL@_ARENA_SIZE,
           (unsigned long)@MODEL@_WEIGHTS_SIZE);
}

static void print_usage(FILE *file)
{
    fprintf(file, "usage: @model@ %sinput_0 [input_1 ...] [options]\n"
                  "inputs: raw codes (.dat, .bin) or .npy with codes or float32\n"
                  "  --top N       print the N largest values of every output\n"
                  "  --output DIR  write the outputs into DIR (default: the current folder)\n"
                  "  --dump DIR    write every tensor and layers.txt (md5 sums) into DIR\n"
                  "  --check DIR   compare every tensor and the outputs with a known answer; exit status 1 if they differ\n"
                  "  --repeat N    run N times and print the mean time\n"
                  "  --info        print shapes, types and scales of inputs and outputs\n",
            @MODEL@_EMBEDDED ? "" : "weights.bin ");
}

static int number_of(const char *option, const char *text)
{
    char *end;
    const long number = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || number < 1 || number > 1000000)
        fail(option, "needs a number from 1 to 1000000");
    return (int)number;
}

static void parse(options *chosen, int count, char **words)
{
    int index;
    memset(chosen, 0, sizeof *chosen);
    chosen->output = ".";
    chosen->repeat = 1;
    for (index = 1; index < count; index++) {
        const char *word = words[index];
        const char *value = index + 1 < count ? words[index + 1] : "";
        if (strcmp(word, "--help") == 0) {
            print_usage(stdout);
            exit(0);
        } else if (strcmp(word, "--info") == 0) {
            print_info();
            exit(0);
        } else if (strncmp(word, "--", 2) == 0) {
            index++;
            if (index == count)
                fail(word, "needs a value");
            if (strcmp(word, "--top") == 0)
                chosen->top = number_of(word, value);
            else if (strcmp(word, "--repeat") == 0)
                chosen->repeat = number_of(word, value);
            else if (strcmp(word, "--dump") == 0)
                chosen->dump = value;
            else if (strcmp(word, "--check") == 0)
                chosen->check = value;
            else if (strcmp(word, "--output") == 0)
                chosen->output = value;
            else
                fail(word, "unknown option, see --help");
        } else if (!@MODEL@_EMBEDDED && chosen->weights == NULL) {
            chosen->weights = word;
        } else if (chosen->input_count < @MODEL@_INPUT_COUNT) {
            chosen->inputs[chosen->input_count++] = word;
        } else {
            fail(word, "is one input too many");
        }
    }
    if (chosen->input_count != @MODEL@_INPUT_COUNT) {
        print_usage(stderr);
        exit(2);
    }
}

static void start(@model@_model *model, const options *chosen, buffers *used)
{
    int status;
    used->weights = NULL;
    used->arena = allocate(@MODEL@_ARENA_SIZE);
#if @MODEL@_EMBEDDED
    (void)chosen;
    status = @model@_init(model, used->arena, @MODEL@_ARENA_SIZE);
#else
    size_t size;
    used->weights = read_file(chosen->weights, &size);
    status = @model@_init(model, used->weights, size, used->arena, @MODEL@_ARENA_SIZE);
    if (status == NPU_DAMAGED_WEIGHTS && model->damaged >= 0) {
        fprintf(stderr, "error: %s: the constant \"%s\" is damaged (checksum)\n", chosen->weights,
                @model@_constant_name(model->damaged));
        exit(1);
    }
    if (status != NPU_OK)
        fail(chosen->weights, npu_status_text(status));
#endif
    if (status != NPU_OK)
        fail("@model@", npu_status_text(status));
}

static void load_inputs(const @model@_model *model, const options *chosen)
{
    int index;
    for (index = 0; index < @MODEL@_INPUT_COUNT; index++)
        load_input(chosen->inputs[index], @model@_input_tensor(index), input_scales[index],
                   @model@_input(model, index));
}

static void measure(@model@_model *model, const options *chosen)
{
    clock_t spent = 0;
    int index;
    for (index = 0; index < chosen->repeat; index++) {
        clock_t before;
        load_inputs(model, chosen);
        before = clock();
        @model@_run(model);
        spent += clock() - before;
    }
    printf("%d runs, %.3f ms each\n", chosen->repeat, 1000.0 * (double)spent / CLOCKS_PER_SEC / chosen->repeat);
}

int main(int count, char **words)
{
    static record seen;
    @model@_model model;
    options chosen;
    buffers used;
    int index, differing = 0;

    parse(&chosen, count, words);
    start(&model, &chosen, &used);
    if (chosen.repeat > 1)
        measure(&model, &chosen);
    load_inputs(&model, &chosen);
    if (chosen.dump != NULL || chosen.check != NULL) {
        seen.dump = chosen.dump;
        model.tensor_done = tensor_done;
        model.context = &seen;
    }
    @model@_run(&model);
    if (chosen.dump != NULL)
        write_list(&seen);
    if (chosen.check != NULL)
        differing = check_layers(chosen.check, &seen);
    for (index = 0; index < @MODEL@_OUTPUT_COUNT; index++) {
        const npu_tensor *tensor = @model@_output_tensor(index);
        unsigned char *bytes = to_bytes(tensor, @model@_output(&model, index));
        char name[160];
        if (chosen.check != NULL) {
            differing += check_output(chosen.check, index, bytes);
        } else {
            char *path;
            output_name(name, sizeof name, index);
            path = joined(chosen.output, name);
            write_file(path, bytes, bytes_of(tensor));
            free(path);
        }
        free(bytes);
        if (chosen.top > 0)
            print_top(index, @model@_output(&model, index), chosen.top);
    }
    free(used.arena);
    free(used.weights);
    return differing > 0;
}
