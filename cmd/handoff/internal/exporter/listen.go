package exporter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// CheckWeb reads a web configuration file (TLS, basic authentication) in the
// format that Prometheus exporters share.
func CheckWeb(file string) error { return web.Validate(file) }

// graceful is how long a stop waits for scrapes under way.
const graceful = 10 * time.Second

// Serve answers on a listener until ctx ends, then lets the scrapes under way
// finish. webConfig names a web configuration file; empty: plain HTTP.
func (s *Server) Serve(ctx context.Context, l net.Listener, webConfig string) error {
	probes, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := s.HTTP(probes)
	done := make(chan error, 1)
	go func() {
		off := false
		done <- web.Serve(l, server, &web.FlagConfig{WebConfigFile: &webConfig, WebSystemdSocket: &off, WebListenAddresses: &[]string{}}, quietly(s.o.Log))
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancelStop()
	if err := server.Shutdown(stop); err != nil {
		cancel()
		_ = server.Close()
	}
	if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// quietly keeps the toolkit's chatter out of the log unless it is verbose.
func quietly(log *slog.Logger) *slog.Logger {
	return slog.New(levelHandler{log.Handler()})
}

// levelHandler turns info into debug.
type levelHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h levelHandler) Enabled(ctx context.Context, l slog.Level) bool {
	if l == slog.LevelInfo {
		l = slog.LevelDebug
	}
	return h.Handler.Enabled(ctx, l)
}
