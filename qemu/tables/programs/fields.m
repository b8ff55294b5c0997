% SPDX-License-Identifier: GPL-2.0-only
% What engineering computations have in memory: matrices, sparse matrices, structs, cells.
rand("seed", 28); randn("seed", 28);
[x, y] = meshgrid(linspace(-3, 3, 600));
z = 3 * (1 - x).^2 .* exp(-x.^2 - (y + 1).^2) - exp(-(x + 1).^2 - y.^2);
noise = z + 0.01 * randn(size(z));
s = sprand(20000, 20000, 0.0005) + speye(20000);
b = s * ones(20000, 1);
for n = 1:4000
  rows(n).name = sprintf("row %d", n); rows(n).value = rand(1, 5); rows(n).kind = {"a", n};
end
c = num2cell(round(100 * rand(100, 100)));
im = uint8(255 * (z - min(z(:))) / (max(z(:)) - min(z(:))));
f = fft2(noise);
t = int32(cumsum(round(10 * rand(1, 200000))));
pause(100);
