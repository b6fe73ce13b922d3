/* A sound card in user space, as an ALSA plugin: real time by a timer, samples from and to files of 16-bit
 * samples, one fixed rate and number of channels if wanted, a clock that is off if wanted, and faults.
 *
 *   pcm_type.simulated.lib "/path/simulated_card.so"
 *   pcm.mic { type simulated  infile "/path/mic.raw"  outfile "/path/out.raw"  rate 48000  channels 2
 *             clock 48010.0  wired 1  fault "/path/fault"  started "/path/started" }
 *
 * infile: mono samples, silence after its end.  wired: the only channel that carries them (default: all).
 * clock: what a second of real time brings.  started: a file that gets a line for each start: when the
 * first sample is heard, or played (seconds of CLOCK_MONOTONIC), and the seconds of a period.  fault: a file that may say
 *   unplug  the card is gone until the file is,
 *   stall   it stands still, without an error.
 */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum fault { NONE, UNPLUG, STALL };

typedef struct {
    snd_pcm_ioplug_t io;
    int timer, file, running;
    long rate, channels, wired;
    double clock;
    char *infile, *outfile, *fault, *started_at;
    struct timespec started;
    unsigned long long position;
} card_t;

static enum fault fault_of(const card_t *card) {
    char word[16] = {0};
    int file = card->fault ? open(card->fault, O_RDONLY) : -1;
    if (file < 0)
        return NONE;
    if (read(file, word, sizeof word - 1) < 0)
        word[0] = 0;
    close(file);
    return !strncmp(word, "unplug", 6) ? UNPLUG : !strncmp(word, "stall", 5) ? STALL : NONE;
}

static double samples_per_second(const card_t *card) {
    return card->clock > 0 ? card->clock : card->io.rate;
}

static double seconds_since_start(const card_t *card) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - card->started.tv_sec) + (now.tv_nsec - card->started.tv_nsec) * 1e-9;
}

static void note_start(const card_t *card) {
    int file = card->started_at ? open(card->started_at, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (file < 0)
        return;
    double period = card->io.period_size / (double)card->io.rate;
    dprintf(file, "%ld.%09ld %f\n", (long)card->started.tv_sec, card->started.tv_nsec, period);
    close(file);
}

static int card_start(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    double period = io->period_size / samples_per_second(card);
    struct itimerspec times = {.it_interval = {(time_t)period, (long)((period - (time_t)period) * 1e9)}};
    times.it_value = times.it_interval;
    clock_gettime(CLOCK_MONOTONIC, &card->started);
    card->running = 1;
    note_start(card);
    return timerfd_settime(card->timer, 0, &times, NULL);
}

static int card_stop(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    struct itimerspec never = {0};
    card->running = 0;
    return timerfd_settime(card->timer, 0, &never, NULL);
}

static int card_prepare(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    card->running = 0;
    card->position = 0;
    return fault_of(card) == UNPLUG ? -ENODEV : 0;
}

static snd_pcm_sframes_t card_pointer(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    switch (fault_of(card)) {
    case UNPLUG:
        snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
        return -ENODEV;
    case STALL:
        return (snd_pcm_sframes_t)(card->position % io->buffer_size);
    case NONE:
        break;
    }
    if (!card->running)
        return 0;
    card->position = (unsigned long long)(seconds_since_start(card) * samples_per_second(card));
    unsigned long long moved = io->appl_ptr;
    unsigned long long limit = io->stream == SND_PCM_STREAM_CAPTURE ? moved + io->buffer_size : moved;
    if (card->position > limit)
        return -EPIPE; /* nobody came in time */
    return (snd_pcm_sframes_t)(card->position % io->buffer_size);
}

static void record(card_t *card, short *samples, snd_pcm_uframes_t frames) {
    int channels = card->io.channels;
    for (snd_pcm_uframes_t i = 0; i < frames; i++) {
        short sample = 0;
        if (card->file >= 0 && read(card->file, &sample, sizeof sample) != sizeof sample)
            sample = 0;
        for (int c = 0; c < channels; c++)
            samples[i * channels + c] = card->wired < 0 || card->wired == c ? sample : 0;
    }
}

static snd_pcm_sframes_t card_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                       snd_pcm_uframes_t offset, snd_pcm_uframes_t frames) {
    card_t *card = io->private_data;
    short *samples = (short *)((char *)areas[0].addr + (areas[0].first + areas[0].step * offset) / 8);
    if (io->stream == SND_PCM_STREAM_CAPTURE) {
        record(card, samples, frames);
    } else {
        ssize_t bytes = frames * io->channels * sizeof *samples;
        if (write(card->file, samples, bytes) != bytes)
            return -EIO;
    }
    return frames;
}

static int card_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *poll, unsigned count, unsigned short *events) {
    card_t *card = io->private_data;
    unsigned long long expirations;
    (void)count;
    *events = 0;
    if (poll[0].revents & POLLIN && read(card->timer, &expirations, sizeof expirations) < 0)
        return 0;
    if (fault_of(card) == UNPLUG) {
        *events = POLLERR | POLLHUP;
        return 0;
    }
    snd_pcm_sframes_t available = snd_pcm_avail_update(io->pcm);
    if (available < 0)
        *events = POLLERR;
    else if ((snd_pcm_uframes_t)available >= io->period_size)
        *events = io->stream == SND_PCM_STREAM_CAPTURE ? POLLIN : POLLOUT;
    return 0;
}

static int card_close(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    close(card->timer);
    if (card->file >= 0)
        close(card->file);
    free(card);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = card_start,
    .stop = card_stop,
    .pointer = card_pointer,
    .transfer = card_transfer,
    .prepare = card_prepare,
    .poll_revents = card_poll_revents,
    .close = card_close,
};

static int read_configuration(card_t *card, snd_config_t *conf) {
    snd_config_iterator_t here, next;
    snd_config_for_each(here, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(here);
        const char *id, *text;
        if (snd_config_get_id(entry, &id) < 0 || !strcmp(id, "type") || !strcmp(id, "hint"))
            continue;
        if (!strcmp(id, "rate"))
            snd_config_get_integer(entry, &card->rate);
        else if (!strcmp(id, "channels"))
            snd_config_get_integer(entry, &card->channels);
        else if (!strcmp(id, "wired"))
            snd_config_get_integer(entry, &card->wired);
        else if (!strcmp(id, "clock"))
            snd_config_get_ireal(entry, &card->clock);
        else if (snd_config_get_string(entry, &text) < 0)
            return -EINVAL;
        else if (!strcmp(id, "infile"))
            card->infile = strdup(text);
        else if (!strcmp(id, "outfile"))
            card->outfile = strdup(text);
        else if (!strcmp(id, "fault"))
            card->fault = strdup(text);
        else if (!strcmp(id, "started"))
            card->started_at = strdup(text);
        else
            return -EINVAL;
    }
    return 0;
}

static int limit_format(card_t *card) {
    snd_pcm_ioplug_t *io = &card->io;
    const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED};
    const unsigned format[] = {SND_PCM_FORMAT_S16_LE};
    unsigned rate = card->rate, channels = card->channels;
    snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, access);
    snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, format);
    snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, rate ? rate : 8000, rate ? rate : 96000);
    snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, channels ? channels : 1, channels ? channels : 8);
    snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 16);
    snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
    return snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128, 1 << 19);
}

SND_PCM_PLUGIN_DEFINE_FUNC(simulated) {
    card_t *card = calloc(1, sizeof *card);
    int error;
    (void)root;
    card->wired = -1;
    card->file = -1;
    if ((error = read_configuration(card, conf)) < 0)
        return error;
    int capture = stream == SND_PCM_STREAM_CAPTURE;
    if (fault_of(card) == UNPLUG)
        return -ENODEV;
    if (!(capture ? card->infile : card->outfile))
        return -ENOENT;
    card->file = capture ? open(card->infile, O_RDONLY | O_CLOEXEC)
                         : open(card->outfile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    card->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    card->io.version = SND_PCM_IOPLUG_VERSION;
    card->io.name = "simulated card";
    card->io.callback = &callbacks;
    card->io.private_data = card;
    card->io.poll_fd = card->timer;
    card->io.poll_events = POLLIN;
    if ((error = snd_pcm_ioplug_create(&card->io, name, stream, mode)) < 0)
        return error;
    if ((error = limit_format(card)) < 0)
        return error;
    *pcmp = card->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(simulated);
