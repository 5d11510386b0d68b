"""Method fasttext2style-nerf: an instruction, in rounds, on nerfacto; Instruct-NeRF2NeRF is a recipe of it.

model.py nerfacto without what it fetches · base.py the run that an edit starts from · field.py its views as rounds ask
for them · masks.py what of each view is edited · pipeline.py, trainer.py, method.py as in the other rooms
"""
